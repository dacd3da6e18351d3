# Fill a mounted filesystem: perl fill.pl DIRECTORY fat|unix BYTES, where the largest file ends at BYTES.
# perl-base of Debian has no modules to speak of; system calls go by number (x86-64).
use strict;
use warnings;
my ($top, $kind, $large) = @ARGV;
my $unix = $kind eq 'unix';
chdir $top or die "$top: $!";

sub put {
    my ($path, $bytes) = @_;
    open my $file, '>', $path or die "$path: $!";
    print $file $bytes;
    close $file or die "$path: $!";
}

sub at {
    my ($path, $offset, $bytes) = @_;
    open my $file, '+<', $path or die "$path: $!";
    sysseek $file, $offset, 0 or die "$path: $!";
    syswrite $file, $bytes or die "$path: $!";
    close $file or die "$path: $!";
}

# Content that differs in every block.
sub noise { my ($seed, $count) = @_; my $text = ''; my $n = 0; $text .= sprintf "%d-%d\n", $seed, $n++ while length $text < $count; return substr $text, 0, $count }

mkdir $_ or die "$_: $!" for 'many', 'names', 'pieces', 'empty directory';
put("many/number $_ with a name that is long", noise($_, $_ % 977)) for 1 .. 2300;
unlink "many/number $_ with a name that is long" or die $! for map { $_ * 7 } 1 .. 100;
put('names/' . 'n' x $_, noise($_, $_)) for 1, 2, 11, 12, 13, 14, 26, 27, 127, 254, 255;
put("names/\xc3\xa4\xc3\xb6 \xe2\x82\xac \xe4\xb8\xad\xe6\x96\x87", 'not ASCII');
put('names/Mixed.Case', 'mixed');
put('names/UPPER.TXT', 'upper');
put("names/bytes \xff\xfe \n\t", 'not UTF-8') if $unix;
my $deep = 'deep';
for (1 .. 40) { mkdir $deep or die "$deep: $!"; put("$deep/here", $deep); $deep .= '/d' }
put('empty', '');

# Two files that grow in turn, so that neither is in one piece; a third leaves gaps.
for my $turn (0 .. 150) {
    for my $name ('a', 'b', 'c') {
        open my $file, '>>', "pieces/$name" or die $!;
        print $file noise($turn, 4096 + 100 * ($name eq 'a'));
        close $file;
    }
    system 'sync', "pieces/a" if $turn % 10 == 0;
}
unlink 'pieces/c' or die $!;
put('pieces/late', noise(3, 300_000));

# The largest file: its middle was never written.
put('large', 'begin');
truncate 'large', $large - 3 or die "large: $!";
at('large', $large / 2 + 77, 'middle');
at('large', $large - 3, 'end');

if ($unix) {
    put('holes', '');
    at('holes', $_ * 1_000_000 + 13, noise($_, 5000)) for 0, 3, 7, 8;
    link 'holes', 'another name' or die $!;
    link 'holes', 'deep/third name' or die $!;
    symlink 'short', 'link' or die $!;
    symlink '../' . 'x' x 200 . '/' . 'y' x 200, 'names/long link' or die $!;
    symlink 'z/' x 500, 'longest link' or die $!;
    syscall(133, my $pipe = 'pipe', 0010640, 0) == 0 or die "mknod: $!";
    syscall(133, my $device = 'device', 0020600, 0x501) == 0 or die "mknod: $!";
    my @modes = (0, 0644, 04755, 02711, 01777, 0600);
    for (0 .. 5) { put("mode $_", ''); chown 1000 + $_, 70_000 + $_, "mode $_" or die $!; chmod $modes[$_], "mode $_" or die $! }
    my @values = (['names', 'user.small', 'v'], ['empty', 'user.empty', ''], ['large', 'user.long', noise(1, 3000)], ['large', 'trusted.t', "\0\1"]);
    push @values, ['holes', "user.n$_", noise($_, 40)] for 1 .. 40;
    # More than ext4 keeps for a file.
    push @values, ['many', 'user.remote', noise(9, 60_000)] if $top !~ /linear/;
    for (@values) {
        my ($path, $name, $value) = @$_;
        syscall(188, $path, $name, $value, length $value, 0) == 0 or die "setxattr $path $name: $!";
    }
} else {
    chmod 0444, 'names/Mixed.Case' or die $!;
}
utime 1_000_000_001, 1_000_000_001, 'names/UPPER.TXT' or die $!;
utime 400_000_007, 400_000_007, 'empty' or die $!;
utime 0, -86_401, 'names/n' or die $! if $unix;
