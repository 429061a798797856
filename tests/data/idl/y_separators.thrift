namespace * separators;
const i32 A = 1;
const i32 B = 2,
const i32 C = 3 const i32 D = 4
struct S{1:i32 a;2:i32 b,3:i32 c 4:i32 d};
enum E{A;B,C D},
typedef i32 T;
service Separators{void a();void b(),void c() void d(1:i32 x;2:i32 y,3:i32 z)};
