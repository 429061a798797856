// expect: n_numbers.thrift:13:15: error: a hexadecimal number needs digits
// expect: n_numbers.thrift:14:15: error: letters follow the number
// expect: n_numbers.thrift:15:19: error: unexpected character '.'
// expect: n_numbers.thrift:16:15: error: unexpected character '-'
// expect: n_numbers.thrift:17:18: error: letters follow the number
// expect: n_numbers.thrift:18:15: error: 'F' is i32, but this is a double
// expect: n_numbers.thrift:19:16: error: 'G' is bool, but this is a double
// expect: n_numbers.thrift:20:14: error: expected a whole number, got '1.5'
// expect: n_numbers.thrift:21:12: error: the number does not fit into 64 bits
// expect: n_numbers.thrift:22:18: error: there is no constant or enum value 'e10'
// expect: n_numbers.thrift:23:17: error: the number does not fit into 64 bits
// expect: n_numbers.thrift:24:14: error: an enum's value must fit into 32 bits
const i32 A = 0x
const i32 B = 5abc
const double C = 1.
const i32 D = - const i32 D2 = 1
const double E = 1e
const i32 F = 1.5
const bool G = 1.0
enum H { X = 1.5 }
struct I { 99999999999999999999: i32 a }
const double J = e10
const i64 KKK = 0xFFFFFFFFFFFFFFFFF
enum L { X = -0x80000001 }
