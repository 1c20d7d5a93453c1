// Runs at EL2: loads the EL1&0 regime and lets EL1 load from and store to a list of
// addresses, as EL1 and as EL0 (LDTR, STTR). The accesses are in a page that EL1 maps (see
// ask_access.py); each is followed by HVC, and so are EL1's vectors.
// x0..x4: TTBR0_EL1, TTBR1_EL1, TCR_EL1, MAIR_EL1, SCTLR_EL1. x5: addresses (8 bytes
// each), x6: how many, x7: results (4 x ESR_EL1), x14: VBAR_EL1, x13: the accesses.
// x15 to x18: as in aarch64_at.S.
	b	start
	.org	0x800			// VBAR_EL2
	.org	0xc00			// synchronous, from a lower level in AArch64
	mrs	x10, esr_el1
	str	x10, [x7], #8
	add	x19, x19, #8
	cmp	x19, #32
	b.ne	go
	b	next
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
	mov	x12, #0x3c5		// EL1h, interrupts masked
	tbz	x18, #0, 2f
	orr	x12, x12, #(1 << 22)	// PSTATE.PAN
2:	tbz	x18, #1, 3f
	mov	x8, #(1 << 14)		// HCRX_EL2.TCR2En
	msr	s3_4_c1_c2_2, x8
	msr	s3_0_c2_c0_3, x15	// TCR2_EL1
	msr	s3_0_c10_c2_3, x16	// PIR_EL1
	msr	s3_0_c10_c2_2, x17	// PIRE0_EL1
3:	isb
	add	x6, x6, #1
next:	subs	x6, x6, #1
	b.eq	4f
	ldr	x9, [x5], #8
	mov	x19, #0
go:	tlbi	vmalle1			// else QEMU stores to what is not dirty
	dsb	sy
	msr	esr_el1, xzr
	add	x11, x13, x19
	msr	elr_el2, x11
	msr	spsr_el2, x12
	eret
4:	b	.
