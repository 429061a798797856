/** Three services, each of which calls the next: for the tests of nested calls. */
namespace * chain

/** The price cannot be told. */
exception NoPrice { 1: i32 item, 2: string currency }

/** There is no rate. */
exception NoRate { 1: string currency }

/** The divisor was zero. */
exception DivisionByZero { 1: i32 dividend }

service Shop {
  i64 price(1: i32 item, 2: string currency) throws (1: NoPrice unknown)
}

service Bank {
  i64 rate(1: i32 item, 2: string currency) throws (1: NoRate unknown)
}

service Calc {
  i64 div(1: i32 a, 2: i32 b) throws (1: DivisionByZero by_zero)
}
