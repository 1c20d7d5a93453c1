@ Runs at PL1 in memory that the tables under test map flat: asks the address
@ translation operations about a list of addresses.
@ r0: addresses (4 bytes each), r1: how many, r2: results (4 x 8 bytes each),
@ r3: 0 to store the 32-bit PAR, else the 64-bit one.
	.arch	armv7ve
	.macro	ask op
	mcr	p15, 0, r4, c7, c8, \op
	isb
	mrrc	p15, 0, r6, r7, c7
	cmp	r3, #0
	mrceq	p15, 0, r6, c7, c4, 0
	moveq	r7, #0
	stmia	r2!, {r6, r7}
	.endm
1:	ldr	r4, [r0], #4
	ask	0
	ask	1
	ask	2
	ask	3
	subs	r1, r1, #1
	bne	1b
	b	.
