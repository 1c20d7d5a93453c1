// As aarch64_enter.S, for the registers of EL2; x5 is HCR_EL2. With E2H set the
// names ..._EL1 mean those of EL2, and TTBR1 exists.
	msr	hcr_el2, x5
	isb
	msr	ttbr0_el2, x0
	msr	s3_4_c2_c0_1, x1		// TTBR1_EL2
	msr	tcr_el2, x2
	msr	mair_el2, x3
	isb
	msr	sctlr_el2, x4
	nop
