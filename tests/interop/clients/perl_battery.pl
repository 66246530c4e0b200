# Perl's Mail::IMAPClient against the server: sorted and threaded views, envelopes, structures,
# literals, flags, COPY, MOVE, IDLE.
#
# Usage: perl_battery.pl PORT CERTIFICATE LOGIN PASSWORD [compressed]. Prints "done" at the end; an
# answer that is not what it should be ends it.

use strict;
use warnings;
use Mail::IMAPClient;

my ($port, $certificate, $login, $password, $compressed) = @ARGV;
my $client = Mail::IMAPClient->new(
    Server => 'localhost', Port => $port, User => $login, Password => $password, Uid => 1,
    Timeout => 25, Ssl => [SSL_ca_file => $certificate],
) or die "login: $@";

sub is {
    my ($what, $got, $expected) = @_;
    $got = '' unless defined $got;
    die "$what: $got, not $expected; " . ($client->LastError // '') unless $got eq $expected;
}

sub ok {
    my ($what, $got) = @_;
    die "$what: " . ($client->LastError // '') unless defined $got;
    return $got;
}

sub message {
    my ($number, $day, $subject, $further) = @_;
    my $from = chr(ord('z') - $number);
    return "From: $from\@example.org\r\nSubject: $subject\r\nDate: $day Nov 2026 10:00:00 +0000\r\n"
        . "Message-ID: <perl$number\@example.org>\r\n$further\r\n" . ('text ' x (100 * $number)) . "\r\n";
}

if ($compressed) {
    die 'COMPRESS=DEFLATE is not announced' unless $client->has_capability('COMPRESS=DEFLATE');
    ok('compress', $client->compress);
}
for my $name (qw(SORT THREAD=REFERENCES THREAD=ORDEREDSUBJECT)) {
    die "$name is not announced" unless $client->has_capability($name);
}
ok('create', $client->create('Perl'));
my @given = (
    message(1, 5, 'plan', ''),
    message(2, 7, 'Re: plan', "References: <perl1\@example.org>\r\n"),
    message(3, 3, 'lunch', ''),
    message(4, 8, 'Re: plan', "In-Reply-To: <perl2\@example.org>\r\n"),
    message(5, 9, 'another', "References: <perl1\@example.org>\r\n"),
);
is('append', $client->append_string('Perl', $given[$_ - 1]), $_) for 1 .. 5;
ok('select', $client->select('Perl'));

is('by date', join(',', $client->sort('DATE', 'UTF-8', 'ALL')), '3,1,2,4,5');
is('by subject', join(',', $client->sort('SUBJECT REVERSE DATE', 'UTF-8', 'ALL')), '5,3,4,2,1');
is('by sender', join(',', $client->sort('REVERSE FROM', 'UTF-8', 'SUBJECT plan')), '1,2,4');
is('by size', join(',', $client->sort('REVERSE SIZE', 'US-ASCII', 'ALL')), '5,4,3,2,1');

sub shape { my $node = shift; return ref $node ? '(' . join(' ', map { shape($_) } @$node) . ')' : $node }
my $threads = ok('threads', $client->thread('REFERENCES', 'UTF-8', 'ALL'));
is('threads', shape($threads), '((3) (1 (2 4) (5)))');
$threads = ok('subjects', $client->thread('ORDEREDSUBJECT', 'UTF-8', 'ALL'));
is('subjects', shape($threads), '((3) (1 (2) (4)) (5))');

is('envelope', ok('envelope', $client->get_envelope(3))->subject, 'lunch');
is('structure', ok('structure', $client->get_bodystructure(3))->bodytype, 'TEXT');
for my $uid (1 .. 5) {
    is("message $uid", $client->message_string($uid), $given[$uid - 1]);
}
is('seen', scalar(@{ $client->seen }), 5);
ok('unsee', $client->deny_seeing(1, 2));
is('unseen', join(',', $client->unseen), '1,2');
ok('copy', $client->copy('INBOX', 1, 2));
ok('move', $client->move('INBOX', 5));
ok('expunge', $client->expunge);
is('left', join(',', $client->messages), '1,2,3,4');
my $idle = ok('idle', $client->idle);
ok('done', $client->done($idle));
ok('rename', $client->rename('Perl', 'Renamed'));
ok('delete', $client->delete('Renamed'));
$client->logout;
print "done\n";
