// expect: y_latin1_comments.thrift:5:8: warning: a comment is not UTF-8
// expect: hint: save it as UTF-8
// expect: /* GrÃ¼ÃŸï¿½e, ï¿½ï¿½ï¿½ï¿½. */
// expect-not: latin1_comments.thrift:9
/* André */
namespace * latin1

/** GrÃ¼ÃŸße, øˆ€€. */
struct A { 1: i32 a } # À€ í € ÿ
