# Tell what the kernel shows below a directory: perl list.pl DIRECTORY. A line for each path, names and values in hexadecimal:
# path, kind, mode, owner, group, links, size, seconds, inode, target of a link, attributes. Then, for each file, `sha256 PATH DIGEST`.
use strict;
use warnings;
my ($top) = @ARGV;
my (@files, @waiting);
@waiting = ('');

sub attributes {
    my ($path) = @_;
    my $list = "\0" x 65_536;
    my $count = syscall 195, $path, $list, length $list;
    die "llistxattr $path: $!" if $count < 0 && $!{EOPNOTSUPP} == 0;
    return '' if $count <= 0;
    my @found;
    for my $name (split /\0/, substr $list, 0, $count) {
        my $value = "\0" x 65_536;
        my $bytes = syscall 192, $path, $name, $value, length $value;
        die "lgetxattr $path $name: $!" if $bytes < 0;
        push @found, unpack('H*', $name) . '=' . unpack('H*', substr $value, 0, $bytes);
    }
    return join ',', @found;
}

while (@waiting) {
    my $path = pop @waiting;
    my $full = "$top$path";
    my @stat = lstat $full or die "$full: $!";
    my $kind = $stat[2] >> 12;
    my $target = $kind == 012 ? readlink $full : '';
    my @fields = ($kind, $stat[2] & 07777, @stat[4, 5, 3, 7, 9, 1]);
    print join(' ', 'x' . unpack('H*', $path), @fields, 'x' . unpack('H*', $target), 'x' . attributes($full)), "\n";
    push @files, $path if $kind == 010;
    next if $kind != 04;
    opendir my $dir, $full or die "$full: $!";
    push @waiting, map { "$path/$_" } grep { $_ ne '.' && $_ ne '..' } readdir $dir;
    closedir $dir;
}
open my $names, '>', '/run/goldsmith/names' or die $!;
print $names "$top$_\0" for @files;
close $names or die $!;
open my $sums, '-|', 'xargs -0 sha256sum -z < /run/goldsmith/names' or die $!;
local $/ = "\0";
while (my $line = <$sums>) {
    chomp $line;
    my ($digest, $path) = $line =~ /^([0-9a-f]{64}) [ *](.*)$/s or die $line;
    print 'sha256 x', unpack('H*', substr $path, length $top), " $digest\n";
}
close $sums or die "sha256sum: $?";
print "end\n";
