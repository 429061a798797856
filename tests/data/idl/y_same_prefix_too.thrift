// Includes neither of the other two files of its namespace.
// expect: #ifndef MAPPED_MAP_STRING_STRING_DEFINED
namespace * mapped
struct R { 1: map<string, string> m, 2: set<list<i32>> s, 3: map<string, i32> counts }
