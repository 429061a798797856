// Fields and arguments named like what C, its headers and ferry define.
namespace * reserved
struct Fields {
  1: i32 int32_t, 2: ferry_kind ferry_bytes, 3: bool _Bool, 4: i64 EINVAL, 5: i32 INT32_MAX, 6: string size_t,
  7: i32 __func__, 8: Fields2 reserved_fields2, 9: list<Fields2> reserved_list_fields2, 10: i32 FILE, 11: i32 FERRY_HERE
}
struct Fields2 { 1: i8 int8_t }
enum ferry_kind { A }
service Reserved { void call(1: i32 _Atomic, 2: i32 int32_t, 3: Fields2 reserved_fields2, 4: i32 ferry_client, 5: i32 ENOMEM) }
