// Containers of another file keep the names that they have there.
// expect: foreign_map_string_mapped_leaf own;
// expect: mapped_map_i32_leaf
// expect-not: foreign_map_string_i32
include "include/maps.thrift"
namespace * foreign
const maps.Holder X = {"counts": {"a": 1}, "words": {"b": "c"}, "leaves": {"d": {"x": 2}}, "rows": [[1], [2, 3]]}
struct Mine {
  1: maps.Holder holder = {"counts": {"e": 5}}
  2: maps.Numbered numbered = {7: {"x": 8}}
  3: map<string, maps.Leaf> own
  4: list<maps.Numbered> lists
}
