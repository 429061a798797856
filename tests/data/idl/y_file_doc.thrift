/** About the file: of two, the first one. */
/** About the struct. */
struct Documented { 1: i32 x }
