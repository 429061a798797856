namespace	*	tabs
struct	A	{	1:	i32	x	=	5	}
const	string	TAB	=	"a	b"
