@ Runs at PL1 in memory that the tables under test map: jumps to a list of addresses at
@ PL1 and at PL0. Each jump ends in a prefetch abort, or in another exception, which
@ shows that something was fetched.
@ r0: addresses (4 bytes each), r1: how many, r2: results (2 x IFSR and IFAR),
@ r3: this code's address, which becomes VBAR.
	.arch	armv7ve
	b	start			@ reset: never taken
	b	fetched			@ undefined instruction
	b	fetched			@ supervisor call
	b	abort			@ prefetch abort
	b	fetched			@ data abort
	b	fetched
	b	fetched
	b	fetched
abort:	mrc	p15, 0, r6, c5, c0, 1
	mrc	p15, 0, r7, c6, c0, 2
	b	store
fetched:
	mov	r6, #0
	mov	r7, #1
store:	stmia	r2!, {r6, r7}
	cps	#0x13
	mov	pc, r8
start:	mcr	p15, 0, r3, c12, c0, 0
	isb
next:	ldr	r4, [r0], #4
	adr	r8, 1f
	mov	pc, r4
1:	adr	r8, 2f
	mov	r9, #0xd0
	orr	r9, r9, #0x100
	msr	spsr_cxsf, r9
	mov	lr, r4
	movs	pc, lr
2:	subs	r1, r1, #1
	bne	next
	b	.
