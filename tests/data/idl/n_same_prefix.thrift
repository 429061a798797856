// expect: error: two things would be named 'mapped_leaf' in C
// expect: note: the other one is here
// expect: hint: rename one of them, or only its C name with (c.name = "other_name")
include "include/maps.thrift"
namespace * mapped
struct Leaf { 1: string y }
