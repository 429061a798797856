// expect: error: 'soon' is not a time
// expect: error: the longest timeout is 1h
// expect: error: 'timeout' needs a time
// expect: error: 'perhaps' is neither true nor false
// expect: error: expected a string, got '5'
// expect: warning: ferry ignores 'timout'
// expect: hint: did you mean 'timeout'?
// expect: error: 'may' needs the names of the users and groups
// expect: error: 'may' needs the names of the users and groups
// expect: error: 'message' must name a string field of the exception
exception X { 1: i32 code } (message = "code")
service S {
  void a() (timeout = "soon")
  void b() (timeout = "2h")
  void c() (timeout)
  void d() (idempotent = "perhaps")
  void e() (timeout = 5)
  void f() (timout = "5s")
  void g() (may)
  void h() (may = " , ")
}
