// expect: warning: 'include/shared.thrift' is included twice
// expect: warning: 'include/../include/shared.thrift' is included twice
include "include/shared.thrift"
include "include/shared.thrift"
include "include/../include/shared.thrift"
namespace * twice
struct Holder { 1: shared.Common point }
