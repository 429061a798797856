// Every keyword is a field's name, an argument's and an enum value's, but cpp_type and xsd_*.
namespace * keywords
struct Fields {
  1: i32 namespace, 2: i32 include, 3: i32 cpp_include, 4: i32 const, 5: i32 typedef, 6: i32 enum
  7: i32 struct, 8: i32 union, 9: i32 exception, 10: i32 service, 11: i32 extends, 12: i32 throws
  13: i32 oneway, 14: i32 async, 15: i32 void, 16: bool bool, 17: byte byte, 18: i8 i8, 19: i16 i16
  20: i32 i32, 21: i64 i64, 22: double double, 23: string string, 24: binary binary, 25: uuid uuid
  26: map<i32, i32> map, 27: list<i32> list, 28: set<i32> set, 29: i32 stream, 30: i32 required
  31: optional i32 optional, 32: i32 true, 33: i32 false
}
union Union { 1: i32 struct, 2: string string, 3: bool true, 4: i32 default, 5: Fields union }
enum Values { namespace, include, const, struct, void, bool, i32, string, list, optional, required, true, false }
service Keywords {
  i32 keep(1: i32 struct, 2: string string, 3: list<i32> list, 4: optional i32 required, 5: i32 void,
           6: Values enum, 7: i32 throws, 8: bool true) throws (1: Bad exception, 2: Worse struct)
  i32 auto(1: i32 new), void delete(), i32 typeof(), void class(1: i32 this)
}
exception Bad { 1: string string }
exception Worse { 1: i32 throws }
