// expect: y_headers.thrift:15:11: warning: unknown language 'martian'
// expect: y_headers.thrift:16:11: warning: unknown language 'klingon.high'
// expect: y_headers.thrift:25:12: warning: field numbers start at 1
// expect: y_headers.thrift:25:23: warning: field numbers start at 1
// expect: y_headers.thrift:27:27: warning: a union has one of its fields: 'required' has no effect
// expect: y_headers.thrift:29:43: warning: 'required' and 'optional' have no effect in 'throws'
// expect: y_headers.thrift:30:17: warning: ferry ignores 'idempotant'
// expect: warning: 'B' has the same number as 'A': the first name is shown
// expect-not: error:
include "include/shared.thrift"
cpp_include "<vector>";
namespace cpp acme.cpp
namespace c acme_headers;
namespace * acme.headers (java.package = "x", note)
namespace martian x,
namespace klingon.high x
namespace py.twisted acme.twisted
namespace java org.acme
namespace netstd Acme
namespace rb Acme
namespace php acme
namespace go acme
namespace js acme
namespace swift Acme
struct A { -5: i32 a, 0: i32 b }
exception E { }
union U { 1: required i32 x }
service S extends shared.Base {
  void go() throws (1: E e, 2: required E f)
  void again() (idempotant = "true")
}
enum N { A = 1, B = 1, C = 0x2 }
