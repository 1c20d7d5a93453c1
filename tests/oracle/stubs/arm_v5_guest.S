@ An ARMv5 guest that only switches its MMU on: loaded and started at 0, with its tables
@ behind it. The first megabyte maps itself; the second has a coarse table with a small page
@ of four subpages, the third a fine table with a tiny page. All are in domain 0.
	.arch	armv4
	mov	r0, #0x4000
	mcr	p15, 0, r0, c2, c0, 0
	mov	r1, #1
	mcr	p15, 0, r1, c3, c0, 0
	mrc	p15, 0, r1, c1, c0, 0
	orr	r1, r1, #1
	mcr	p15, 0, r1, c1, c0, 0
1:	b	1b
	.org	0x4000
	.word	0x00000c1e, 0x00008011, 0x0000c013
	.org	0x5000
	.word	0x11111111
	.org	0x5400
	.word	0x22222222
	.org	0x8000
	.word	0x00005ffe, 0x000065a2
	.org	0xc000
	.word	0x00005433
