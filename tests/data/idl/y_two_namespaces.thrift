// expect: warning: there are two namespaces for 'py': the last one counts
// expect: warning: there are two namespaces for '*': the last one counts
// expect: note: the first one is here
// expect: two_last_point
// expect-not: two_first
namespace py a
namespace py b
namespace * two.first
namespace * two.last
struct Point { 1: i32 x }
