include "include/shared.thrift"
include "include/other.thrift";
namespace * including

struct Mine {
  1: shared.Common common = shared.DEFAULT
  2: list<shared.Common> list
  3: shared.Commons commons
  4: list<shared.Commons> lists
  5: map<shared.Level, shared.Any> map
  6: optional shared.Any any
  7: shared.Level level = shared.Level.HIGH
  8: i32 limit = shared.LIMIT
  9: other.Other other
}
exception Mine2 { 1: shared.Common c }
const shared.Level LEVEL = shared.Level.LOW
const i32 LIMIT = shared.LIMIT
const list<shared.Common> ALL = [shared.DEFAULT, {"id": 2, "note": "two"}]

service Derived extends shared.Base {
  shared.Common more(1: shared.Common c, 2: shared.Level l) throws (1: shared.NotFound a, 2: Mine2 b)
}
service Further extends Derived { stream<shared.Common> watch(1: shared.Level from) }
