# The same as x86_64_pf.S for 32-bit protected mode.
# ebx: this memory, esi: addresses (4 bytes each), ecx: how many, ebp: results.
	.code32
	.set	user_read, 0x3000
	.set	user_write, 0x3010
	jmp	start
	.org	0x20			# gate of vector 14
	pop	%eax
	or	$0x100, %eax
	jmp	back
	.org	0x40			# gate of vector 6: the access worked, UD2 was run
	xor	%eax, %eax
back:	lea	0x6000(%ebx), %esp
	jmp	*%edx
	.org	0x60			# gate of every other vector
	mov	$0xdead, %eax
	jmp	back

	.macro	store
1:	mov	%ax, (%ebp)
	add	$2, %ebp
	.endm
	.macro	begin
	call	2f			# edx = where `store` is
2:	pop	%edx
	add	$1f - 2b, %edx
	xor	%eax, %eax
	.endm
	.macro	user
	push	$0x23
	push	$0
	push	$2
	push	$0x33
	push	%eax
	iret
	store
	.endm

start:	lgdt	0x100(%ebx)
	lidt	0x110(%ebx)
	mov	$0x38, %eax
	ltr	%ax
	mov	$0x23, %eax
	mov	%eax, %ds
	mov	%eax, %es
	lea	0x6000(%ebx), %esp
next:	mov	(%esi), %edi
	add	$4, %esi
	begin
	movb	(%edi), %ah
	xor	%eax, %eax
	store
	begin
	movb	$0x0f, (%edi)
	store
	begin
	jmp	*%edi
	store
	begin
	lea	user_read(%ebx), %eax
	user
	begin
	lea	user_write(%ebx), %eax
	user
	begin
	mov	%edi, %eax
	user
	dec	%ecx
	jnz	next
	jmp	.
