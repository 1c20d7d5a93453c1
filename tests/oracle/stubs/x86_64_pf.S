# Runs at CPL 0 in 64-bit mode, in memory that the tables under test map for the
# kernel only (but for one page of user code). Accesses each address of a list in six
# ways and stores, as 16-bit words, 0 for success or 0x100 + the #PF error code.
# rbx: this memory, r12: addresses (8 bytes each), r13: how many, r14: results.
# Offsets in this memory: 0x100 GDTR, 0x110 IDTR, 0x120 which of PKRU (1) and IA32_PKRS
# (2) to load, 0x124 PKRU, 0x128 IA32_PKRS, 0x3000 user code, 0x6000 stack top.
	.code64
	.set	user_read, 0x3000
	.set	user_write, 0x3010
	jmp	start
	.org	0x20			# gate of vector 14
	pop	%rax
	or	$0x100, %eax
	jmp	back
	.org	0x40			# gate of vector 6: the access worked, UD2 was run
	xor	%eax, %eax
back:	lea	0x6000(%rbx), %rsp
	jmp	*%r15
	.org	0x60			# gate of every other vector
	mov	$0xdead, %eax
	jmp	back

	.macro	store
1:	mov	%ax, (%r14)
	add	$2, %r14
	.endm
	.macro	begin
	lea	1f(%rip), %r15
	xor	%eax, %eax
	.endm
	.macro	user target
	begin
	push	$0x23
	push	$0
	push	$2
	push	$0x1b
	push	\target
	iretq
	store
	.endm

start:	testl	$1, 0x120(%rbx)
	jz	1f
	xor	%ecx, %ecx
	xor	%edx, %edx
	mov	0x124(%rbx), %eax
	wrpkru
1:	testl	$2, 0x120(%rbx)
	jz	1f
	mov	$0x6e1, %ecx
	xor	%edx, %edx
	mov	0x128(%rbx), %eax
	wrmsr
1:	lgdt	0x100(%rbx)
	lidt	0x110(%rbx)
	mov	$0x38, %eax
	ltr	%ax
	mov	$0x10, %eax
	mov	%eax, %ss
	lea	0x6000(%rbx), %rsp
	lea	user_read(%rbx), %r8
	lea	user_write(%rbx), %r9
next:	mov	(%r12), %rdi
	add	$8, %r12
	begin
	movb	(%rdi), %cl
	store
	begin
	movb	$0x0f, (%rdi)
	store
	begin
	jmp	*%rdi
	store
	user	%r8
	user	%r9
	user	%rdi
	dec	%r13
	jnz	next
	jmp	.
