cpp_include "<unordered_map>"
include "include/shared.thrift"
namespace cpp.noexist legacy
namespace py.twisted legacy
namespace * legacy

struct Old xsd_all {
  1: list cpp_type "std::vector<int>" <i32> a
  2: list<i32> cpp_type "std::list<int>" b
  3: map cpp_type "std::unordered_map<int, int>" <i32, i32> c
  4: set cpp_type "x" <string> d
  5: i32 e xsd_optional
  6: i32 f xsd_nillable
  7: i32 g = 3 xsd_optional xsd_nillable xsd_attrs { 1: string x, 2: i32 y } (z = "w")
}
union Any xsd_all { 1: i32 a xsd_optional, 2: list cpp_type "x" <map cpp_type "y" <i32, set<i32> cpp_type "z">> b }
const list cpp_type "c" <i32> NUMBERS = [1]
typedef set cpp_type "t" <i32> Numbers
service Legacy { async void fire(1: i32 x), oneway void forget() }
