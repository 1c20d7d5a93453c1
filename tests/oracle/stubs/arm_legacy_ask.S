@ Runs at PL1 at the high vectors, 0xffff0000: reads, writes and executes at a list of
@ addresses, with the rights of the kernel and of the user.
@ r0: addresses (4 bytes each), r1: how many, r2: results (6 x 4 bytes: the fault status
@ register, or 0x10000 where the access went through), r9: what is written, an undefined
@ instruction.
	.arch	armv4
	.macro	ask insn:vararg
	adr	r8, 1f
	\insn
	mov	r6, #0x10000
	str	r6, [r2], #4
1:
	.endm
	b	start			@ reset: never taken
	b	through			@ undefined instruction
	b	through			@ supervisor call
	b	prefetch
	b	data
	b	.
	b	.
	b	.
prefetch:
	mrc	p15, 0, r6, c5, c0, 1
	sub	r7, lr, #4
	cmp	r7, r4
	bne	through
	b	store
data:	mrc	p15, 0, r6, c5, c0, 0
	b	store
through:
	mov	r6, #0x10000
store:	str	r6, [r2], #4
	msr	cpsr_c, #0xd3
	mov	pc, r8
start:
next:	ldr	r4, [r0], #4
	ask	ldr r5, [r4]
	ask	str r9, [r4]
	ask	ldrt r5, [r4]
	ask	strt r9, [r4]
	adr	r8, 2f
	mov	pc, r4
2:	adr	r8, 3f
	mov	r10, #0xd0
	msr	spsr_cxsf, r10
	mov	lr, r4
	movs	pc, lr
3:	subs	r1, r1, #1
	bne	next
	b	.
