// Runs at EL2, then waits at EL1 below a second stage (see process/test_refused.py). Both
// stages begin at level 1: 39 bits, 4 KB granule, 1 GB blocks at 0x41000000 and 0x41010000.
	mov	x0, #0x41010000
	msr	vttbr_el2, x0
	mov	x0, #0x3559		// VTCR_EL2: T0SZ 25, SL0 1, cacheable
	movk	x0, #0x8002, lsl #16	// RES1, PS = 40 bits
	msr	vtcr_el2, x0
	mov	x0, #0x41000000
	msr	ttbr0_el1, x0
	mov	x0, #0x3519		// TCR_EL1: T0SZ 25, cacheable
	movk	x0, #0x80, lsl #16	// EPD1
	movk	x0, #2, lsl #32		// IPS = 40 bits
	msr	tcr_el1, x0
	mov	x0, #0xff
	msr	mair_el1, x0
	mov	x0, #1
	msr	sctlr_el1, x0
	movk	x0, #0x8000, lsl #16	// HCR_EL2: RW, VM
	msr	hcr_el2, x0
	mov	x0, #0x3c5		// EL1h, interrupts masked
	msr	spsr_el2, x0
	adr	x0, 1f
	msr	elr_el2, x0
	isb
	eret
1:	b	.
