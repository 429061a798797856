namespace * implicit

struct NoIds { i32 a, i32 b; string c  optional i32 d }
struct Mixed { 1: i32 a, i32 b, 5: i32 c, i32 d }
service Implicit { i32 add(i32 a, i32 b) throws (Oops oops) }
exception Oops { string message }
