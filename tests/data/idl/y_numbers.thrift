namespace * numbers

const i32 LEADING_ZERO = 098325
const i32 PLUS = +5
const i32 MINUS = -5
const i32 LOWEST32 = -2147483648
const i32 HIGHEST32 = 2147483647
const i64 LOWEST = -9223372036854775808
const i64 HIGHEST = 9223372036854775807
const i64 HEX = 0xfF
const i64 NEGATIVE_HEX = -0x10
const i64 LOWEST_HEX = -0x8000000000000000
const i64 HIGHEST_HEX = 0x7FFFFFFFFFFFFFFF
const i8 LOWEST8 = -128
const i16 HIGHEST16 = 32767
const double EXPONENT = 1e10
const double SMALL = 1.5e-300
const double FRACTION = -.5
const double ZEROS = 085.2355
const double WHOLE = 3
const double TENTH = 0.1
const bool YES = true
const bool NO = 0
const bool ALSO = 1
