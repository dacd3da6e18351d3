# Sets the clock of a Linux guest (x86-64), renews its random generator and mounts a boot id of its own. A shell cannot do the second, and needs
# a program for each of the others.
# Usage: renew < ORDER     88 bytes: the time (struct timespec), then 64 random bytes (struct rand_pool_info)
#        renew check       only try whether this kernel can renew its generator
#
# The exit status is 0, or the number of the step that failed. `renew.elf` is this file assembled; a test compares them:
#   as -o renew.o renew.s && objcopy -O binary -j .text renew.o renew.elf
#
# The kernel credits what RNDADDENTROPY brings, but goes on with the key that it has until the next minute. RNDRESEEDCRNG (Linux 4.17) makes it
# take a new key at once (drivers/char/random.c). Numbers of system calls: arch/x86/entry/syscalls/syscall_64.tbl.

        .intel_syntax noprefix
        .set    base, 0x400000
        .text

# The ELF header (elf(5)), and a program header that maps the whole file, with room behind it for the order.
file:   .byte   0x7f, 'E', 'L', 'F', 2, 1, 1, 0
        .quad   0
        .short  2, 62                   # an executable, for x86-64
        .long   1
        .quad   base + (start - file)
        .quad   program - file
        .quad   0
        .long   0
        .short  64, 56, 1, 0, 0, 0
program:
        .long   1, 7                    # PT_LOAD; readable, writable, executable
        .quad   0, base, base
        .quad   end - file, end - file + 88
        .quad   0x1000

start:  mov     r12, [rsp]              # argc
        lea     r13, [rip + end]        # the order
        cmp     r12, 1
        jne     urandom

# Read all of the order: a port may give less at a time.
        xor     r14d, r14d              # bytes that have come
more:   xor     eax, eax                # read(0, order + r14, 88 - r14)
        xor     edi, edi
        lea     rsi, [r13 + r14]
        mov     edx, 88
        sub     edx, r14d
        syscall
        mov     ebx, 1
        test    rax, rax
        jle     leave
        add     r14, rax
        cmp     r14, 88
        jb      more

        mov     eax, 227                # clock_settime(CLOCK_REALTIME, order)
        xor     edi, edi
        mov     rsi, r13
        syscall
        mov     ebx, 2
        test    rax, rax
        jne     leave

urandom:
        mov     eax, 2                  # open("/dev/urandom", O_RDONLY)
        lea     rdi, [rip + path]
        xor     esi, esi
        syscall
        mov     ebx, 3
        test    rax, rax
        js      leave
        mov     r15, rax
        cmp     r12, 1
        jne     reseed

        mov     eax, 16                 # ioctl(urandom, RNDADDENTROPY, order + 16)
        mov     rdi, r15
        mov     esi, 0x40085203
        lea     rdx, [r13 + 16]
        syscall
        mov     ebx, 4
        test    rax, rax
        jne     leave

reseed: mov     eax, 16                 # ioctl(urandom, RNDRESEEDCRNG)
        mov     rdi, r15
        mov     esi, 0x5207
        xor     edx, edx
        syscall
        mov     ebx, 5
        test    rax, rax
        jne     leave
        cmp     r12, 1
        jne     done

        mov     eax, 165                # mount(own, boot_id, NULL, MS_BIND, NULL)
        lea     rdi, [rip + own]
        lea     rsi, [rip + boot_id]
        xor     edx, edx
        mov     r10d, 0x1000
        xor     r8d, r8d
        syscall
        mov     ebx, 6
        test    rax, rax
        jne     leave

done:   xor     ebx, ebx

leave:  mov     eax, 60                 # exit(step)
        mov     edi, ebx
        syscall

path:   .asciz  "/dev/urandom"
own:    .asciz  "/run/goldsmith/boot_id"
boot_id:
        .asciz  "/proc/sys/kernel/random/boot_id"
end:
