namespace * base_types

// Every base type, as field, optional field, argument and result.
struct All {
  1: bool a_bool
  2: byte a_byte
  3: i8 an_i8
  4: i16 an_i16
  5: i32 an_i32
  6: i64 an_i64
  7: double a_double
  8: string a_string
  9: binary a_binary
  10: uuid a_uuid
}

struct Maybe {
  1: optional bool a_bool
  2: optional byte a_byte
  3: optional i8 an_i8
  4: optional i16 an_i16
  5: optional i32 an_i32
  6: optional i64 an_i64
  7: optional double a_double
  8: optional string a_string
  9: optional binary a_binary
  10: optional uuid a_uuid
}

service BaseTypes {
  bool of_bool(1: bool x)
  byte of_byte(1: byte x)
  i8 of_i8(1: i8 x)
  i16 of_i16(1: i16 x)
  i32 of_i32(1: i32 x)
  i64 of_i64(1: i64 x)
  double of_double(1: double x)
  string of_string(1: string x)
  binary of_binary(1: binary x)
  uuid of_uuid(1: uuid x)
  All of_all(1: All x, 2: optional Maybe y, 3: optional i32 z, 4: optional string s, 5: optional binary b)
  void of_nothing()
}
