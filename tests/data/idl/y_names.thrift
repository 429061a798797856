// No namespace: the file's name is the prefix, and nothing comes before names on the wire.
struct Keywords {
  1: i32 int, 2: i8 i8, 3: string string, 4: list<i32> list, 5: i32 required, 6: optional i32 optional,
  7: i32 class, 8: i32 default, 9: i32 struct, 10: i32 service, 11: i32 unix, 12: i32 errno, 13: i32 NULL,
  14: i32 n, 15: i32 v, 16: i32 template, 17: i32 this, 18: i32 linux, 19: bool bool, 20: i32 throws,
  21: i32 const, 22: i32 namespace, 23: i32 include, 24: i32 true, 25: i32 false, 26: i32 void
}
struct add_args { 1: i32 x }
struct AddArgs2 { 1: i32 x }
struct RangeLow { 1: i32 x }
struct Range { 1: i32 low = 4 (a = "b"), 2: i32 low_value = 3 }
struct _Underscore { 1: i32 _x, 2: i32 __y }
struct camelCase { 1: i32 fieldName, 2: i32 IDField }
struct XMLHttpRequest { 1: i32 x }

service Names {
  i32 add(1: i32 client, 2: i32 ret, 3: i32 reterr, 4: i32 ctx, 5: i32 fn, 6: i32 request, 7: i32 args)
  i32 default(1: i32 int, 2: i32 methods, 3: i32 range_fields, 4: i32 handlers, 5: i32 p)
  i32 getHTTPStatus(1: i32 result, 2: i32 item, 3: i32 stream, 4: i32 add_args_fields, 5: i32 range_low_value)
  i32 while(1: i32 h, 2: i32 value, 3: i32 service)
}
