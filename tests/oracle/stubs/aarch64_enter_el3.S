// As aarch64_enter.S, for the registers of EL3 (x1 is not used).
	msr	ttbr0_el3, x0
	msr	tcr_el3, x2
	msr	mair_el3, x3
	isb
	msr	sctlr_el3, x4
	nop
