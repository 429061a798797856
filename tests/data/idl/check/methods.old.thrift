namespace * methods
exception X { 1: i32 a }
service Base { void inherited() }
service S extends Base {
  i32 add(1: i32 a, 2: i32 b)
  i32 sub(1: i32 a, 2: i32 b)
  void gone()
  oneway void shout(1: string text)
  stream<i32> flow()
  i32 same(1: i32 a, 2: optional i32 b) (idempotent = "true")
}
service Gone { }
