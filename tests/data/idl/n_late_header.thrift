// expect: error: includes and namespaces come before the first definition
// expect: note: the first definition is here
const i32 A = 1
namespace * late
