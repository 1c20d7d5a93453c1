// What EL1 runs for aarch64_access.S: x9 is the address.
	ldrb	w10, [x9]
	hvc	#0
	strb	w10, [x9]
	hvc	#0
	ldtrb	w10, [x9]
	hvc	#0
	sttrb	w10, [x9]
	hvc	#0
