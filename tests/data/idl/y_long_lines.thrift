namespace * a_rather_long_namespace.with_a_second_part

/** A documentation comment that is so long that it cannot stand on the same line as the struct that it is about, because lines end at a hundred columns. */
struct AStructWithAnExtraordinarilyLongNameThatNobodyWouldWriteOnPurpose {
  /** And a field whose documentation is just as long, which therefore has to stand in front of the field rather than behind it. */
  1: map<string, AStructWithAnExtraordinarilyLongNameThatNobodyWouldWriteOnPurpose> a_field_with_an_extraordinarily_long_name
}
service AServiceWithAnExtraordinarilyLongName {
  AStructWithAnExtraordinarilyLongNameThatNobodyWouldWriteOnPurpose a_method_with_an_extraordinarily_long_name(1: AStructWithAnExtraordinarilyLongNameThatNobodyWouldWriteOnPurpose first_argument, 2: list<AStructWithAnExtraordinarilyLongNameThatNobodyWouldWriteOnPurpose> second_argument)
}
