// Loads the translation registers of EL1 from x0..x4; the last instruction may
// switch the MMU on, and the oracle stops the CPU right behind it.
	msr	ttbr0_el1, x0
	msr	ttbr1_el1, x1
	msr	tcr_el1, x2
	msr	mair_el1, x3
	isb
	msr	sctlr_el1, x4
	nop
