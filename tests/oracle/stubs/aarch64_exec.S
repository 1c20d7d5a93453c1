// Runs at EL2: loads the EL1&0 regime and jumps to a list of addresses at EL1 and at
// EL0. Each jump ends in an exception at EL1, whose vectors are HVC (see ask_exec.py).
// x0..x4: TTBR0_EL1, TTBR1_EL1, TCR_EL1, MAIR_EL1, SCTLR_EL1. x5: addresses (8 bytes
// each), x15 to x18: as in aarch64_at.S, x6: how many, x7: results (2 x ESR_EL1 and FAR_EL1), x14: VBAR_EL1.
	b	start
	.org	0x800			// VBAR_EL2
	.org	0xc00			// synchronous, from a lower level in AArch64
	mrs	x10, esr_el1
	mrs	x11, far_el1
	stp	x10, x11, [x7], #16
	br	x13
	.org	0xc80
start:	msr	ttbr0_el1, x0
	msr	ttbr1_el1, x1
	msr	tcr_el1, x2
	msr	mair_el1, x3
	msr	sctlr_el1, x4
	msr	vbar_el1, x14
	adr	x8, start - 0x480
	msr	vbar_el2, x8
	mov	x8, #(1 << 31)		// HCR_EL2.RW: EL1 is AArch64
	msr	hcr_el2, x8
	tbz	x18, #1, 3f
	mov	x8, #(1 << 14)		// HCRX_EL2.TCR2En
	msr	s3_4_c1_c2_2, x8
	msr	s3_0_c2_c0_3, x15	// TCR2_EL1
	msr	s3_0_c10_c2_3, x16	// PIR_EL1
	msr	s3_0_c10_c2_2, x17	// PIRE0_EL1
3:	isb
	b	next
go:	msr	elr_el2, x9
	msr	spsr_el2, x12
	eret
next:	ldr	x9, [x5], #8
	mov	x12, #0x3c5		// EL1h, interrupts masked
	adr	x13, 1f
	b	go
1:	mov	x12, #0x3c0		// EL0t
	adr	x13, 2f
	b	go
2:	subs	x6, x6, #1
	b.ne	next
	b	.
