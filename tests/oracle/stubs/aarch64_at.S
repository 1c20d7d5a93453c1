// Runs at EL2: loads the EL1&0 regime and asks the address translation
// instructions about a list of addresses. EL2 itself runs without an MMU.
// x0..x4: TTBR0_EL1, TTBR1_EL1, TCR_EL1, MAIR_EL1, SCTLR_EL1.
// x18: bit 0 is PSTATE.PAN; bit 1: TCR2_EL1 is x15, PIR_EL1 x16, PIRE0_EL1 x17.
// x5: addresses (8 bytes each), x6: how many, x7: results (4 x PAR_EL1 each).
	msr	ttbr0_el1, x0
	msr	ttbr1_el1, x1
	msr	tcr_el1, x2
	msr	mair_el1, x3
	msr	sctlr_el1, x4
	mov	x8, #(1 << 31)		// HCR_EL2.RW: EL1 is AArch64
	msr	hcr_el2, x8
	tbz	x18, #0, 2f
	.inst	0xd500419f		// MSR PAN, #1
2:	tbz	x18, #1, 3f
	mov	x8, #(1 << 14)		// HCRX_EL2.TCR2En
	msr	s3_4_c1_c2_2, x8
	msr	s3_0_c2_c0_3, x15	// TCR2_EL1
	msr	s3_0_c10_c2_3, x16	// PIR_EL1
	msr	s3_0_c10_c2_2, x17	// PIRE0_EL1
3:	isb
1:	ldr	x9, [x5], #8
	sys	#0, c7, c9, #0, x9	// AT S1E1RP: S1E1R, and PSTATE.PAN counts
	isb
	mrs	x10, par_el1
	sys	#0, c7, c9, #1, x9	// AT S1E1WP
	isb
	mrs	x11, par_el1
	at	s1e0r, x9
	isb
	mrs	x12, par_el1
	at	s1e0w, x9
	isb
	mrs	x13, par_el1
	stp	x10, x11, [x7], #16
	stp	x12, x13, [x7], #16
	subs	x6, x6, #1
	b.ne	1b
	b	.
