// expect: :9:17: error: the number does not fit into 64 bits
// expect: :10:17: error: the number does not fit into 64 bits
// expect: :11:17: error: the number does not fit into 64 bits
// expect: :12:20: error: the number does not fit into a double
// expect: error: 128 does not fit into 'D', which is i8
// expect: error: -32769 does not fit into 'E', which is i16
// expect: error: 2147483648 does not fit into 'F', which is i32
// expect: error: an enum's value must fit into 32 bits
const i64 AAA = 9223372036854775808
const i64 BBB = 0x8000000000000000
const i64 CCC = -9223372036854775809
const double DBL = 1e999
const i8 D = 128
const i16 E = -32769
const i32 F = 2147483648
enum G { X = 2147483647, Y }
struct H { 40000: i32 a }
// expect: error: a field's number must fit into 16 bits
