namespace * services

exception One { 1: i32 code }
exception Two { 1: string message }
struct Empty {}

service Services {
  void nothing()
  oneway void event(1: string what, 2: i32 n);
  i32 number(1: i32 a, 2: i32 b) throws (1: One one, 2: Two two)
  Empty make(1: Empty e)
  void none() throws ()
}
service Admin { void nothing(), void shutdown(1: i32 code = 3) }
service Small extends Admin { }
service HTTPServer2Go { void go() }
