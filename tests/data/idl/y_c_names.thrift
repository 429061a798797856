// expect: int c_names_serve_all(ferry_client *client
// expect: int (*serve_all)(ferry_request *request
// expect: {"serve",
// expect: C_NAMES_EVENT_INITIAL = 1
// expect: C_NAMES_CASE_AB_UPPER = 1
// expect: typedef struct c_names_other_thing
// expect: int32_t the_x;
// expect: "c_names.Thing"
namespace * c_names
service C_names { void serve(1: i32 a (c.name = "b"), 2: i32 b (c.name = "c")) (c.name = "serve_all"), i32 c_names_thing() }
union Event { 1: i32 init (c.name = "initial") }
enum Case { Ab, AB (c.name = "ab_upper") }
struct Thing { 1: i32 x (c.name = "the_x") } (c.name = "OtherThing")
struct Things { 1: list<Thing> all = [{"x": 3}], 2: Case which = Case.AB }
exception Gone { 1: string what } (c.name = "vanished")
