namespace * fields
struct A { 1: i32 keeps, 2: optional i32 leaves, 3: i32 goes, 4: i32 grows, 5: optional i32 hardens, 6: i32 softens, 7: i32 renamed, 8: i32 d = 1 }
union U { 1: i32 a, 2: i32 b }
enum E { X = 1, Y = 2, Z = 3 }
