# nothing
// at
/* all */
/**/
/***/
/** not even here */
