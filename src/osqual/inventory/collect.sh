#!/bin/sh
# Prints what an image holds, one fact a line, fields separated by tabs; `facts.py` reads it.
#
#   sh collect.sh PART...
#
# `disk` reads the files below OSQUAL_ROOT (default /), `secrets` looks for secrets in them, `live`
# tells what only the running machine knows. Needs root. Changes nothing. OSQUAL_SECRETS, a shell
# variable, holds values to look for, one a line. Debian, Ubuntu, the Red Hat family and Flatcar
# have all that it uses; what is missing is left out.
set -u
LC_ALL=C
export LC_ALL
root=${OSQUAL_ROOT:-}
root=${root%/}

# A file that is not on the disk of the machine, where there is such a place.
memory_file() {
    for place in /dev/shm /run /tmp; do [ -w "$place" ] && break; done
    umask 077
    mktemp "$place/osqual.XXXXXX"
}

has() { command -v "$1" >/dev/null 2>&1; }

os() {
    for file in "$root/etc/os-release" "$root/usr/lib/os-release"; do
        [ -r "$file" ] || continue
        (
            ID='' VERSION_ID='' PRETTY_NAME=''
            # shellcheck disable=SC1090
            . "$file"
            printf 'os\t%s\t%s\t%s\n' "$ID" "$VERSION_ID" "$PRETTY_NAME"
        )
        return
    done
}

packages() {
    if [ -f "$root/var/lib/dpkg/status" ] && has dpkg-query; then
        dpkg-query --admindir="$root/var/lib/dpkg" -W -f \
            'package\tdeb\t${Package}\t${Version}\t${Architecture}\t${source:Package}\t${source:Version}\t${db:Status-Abbrev}\n' |
            awk -F '\t' '$8 ~ /^.i/ { sub(/\t[^\t]*$/, ""); print }'
    fi
    if has rpm && { [ -d "$root/var/lib/rpm" ] || [ -d "$root/usr/lib/sysimage/rpm" ]; }; then
        rpm --root "${root:-/}" -qa --qf \
            'package\trpm\t%{NAME}\t%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t\n'
    fi
}

# Which package a path belongs to: path, tab, package.
owners() {
    if [ -d "$root/var/lib/dpkg/info" ]; then
        find "$root/var/lib/dpkg/info" -name '*.list' -exec awk -v OFS='\t' '
            FNR == 1 { name = FILENAME; sub(/.*\//, "", name); sub(/(:[^:]*)?\.list$/, "", name) }
            { print $0, name }' {} +
    fi
    if has rpm && { [ -d "$root/var/lib/rpm" ] || [ -d "$root/usr/lib/sysimage/rpm" ]; }; then
        rpm --root "${root:-/}" -qa --qf '[%{FILENAMES}\t%{=NAME}\n]'
    fi
}

# The root and every other file system on a disk, each once.
file_systems() {
    printf '%s/\n' "$root"
    [ -z "$root" ] || return 0
    awk '$2 != "/" && $3 ~ /^(ext[234]|xfs|btrfs|vfat)$/ && !seen[$1]++ { print $2 }' /proc/mounts
}

# Layers of containers are the containers' own affair. A newline in a name becomes another control
# character, so that no name can pass for a fact.
list_files() {
    file_systems | while IFS= read -r top; do
        find "$top" -xdev -type d \
            \( -path "$root/var/lib/docker/overlay2" -o -path "$root/var/lib/docker/image" \
            -o -path "$root/var/lib/containerd/io.containerd.*" \) -prune \
            -o -printf 'file\t%y\t%m\t%U\t%G\t%s\t%T@\t%l\t%p\0' 2>/dev/null
    done | tr '\n\000' '\001\n'
}

# file: kind, mode, owner, group, size, time, package, link's target, path. Names with control
# characters are only counted.
files() {
    merged=0
    [ -L "$root/bin" ] && merged=1
    { owners && printf '\n' && list_files; } |
        awk -F '\t' -v OFS='\t' -v merged=$merged -v strip=$((${#root} + 1)) '
            $0 == "" && !files { files = 1; next }
            !files {
                path = $1
                if (merged && path ~ /^\/(s?bin|lib|lib32|lib64|libx32)\//) path = "/usr" path
                owner[path] = $2
                next
            }
            NF != 9 || $9 ~ /[\001-\037\177]/ || $8 ~ /[\001-\037\177]/ { odd++; next }
            {
                path = substr($9, strip)
                sub(/\..*/, "", $7)
                print $1, $2, $3, $4, $5, $6, $7, owner[path], $8, path
            }
            END { if (odd) print "odd", odd }'
}

# Of files that are small, and that no package owns or that an administrator may change; what keeps
# passwords or keys is known by its size.
digests() {
    awk -F '\t' '
        $1 == "file" && $2 == "f" && $6 > 0 && $6 <= 1048576 && ($8 == "" || $10 ~ /^\/etc\//) &&
        $10 !~ /^\/etc\/g?shadow|\/\.ssh\/|^\/var\/(cache|log|lib\/(dpkg|apt|rpm|systemd))\/|^\/usr\/(lib|share)\/.*\/__pycache__\/|^\/(proc|sys|dev|run|tmp)\// {
            printf "%s%c", $10, 0
        }' "$1" | (cd "${root:-/}" && sed -z 's|^/|./|' | xargs -0 -r sha256sum 2>/dev/null) |
        awk '/^[0-9a-f]/ { printf "sha256\t%s\t%s\n", substr($0, 1, 64), substr($0, 68) }'
}

# Never a hash itself: only whether there is one, and of which kind.
users() {
    awk -F : '{ printf "user\t%s\t%s\t%s\t%s\t%s\n", $1, $3, $4, $6, $7 }' "$root/etc/passwd"
    awk -F : '{ printf "group\t%s\t%s\t%s\n", $1, $3, $4 }' "$root/etc/group"
    awk -F : '
        {
            state = "set"
            if ($2 == "") state = "none"
            else if ($2 ~ /^[!*]+$/ || $2 == "x") state = "locked"
            else if ($2 ~ /^[!*]/) state = "locked hash"
            print "password\t" $1 "\t" state
        }' "$root/etc/shadow" 2>/dev/null
    # In passwd itself, where there is no shadow.
    awk -F : '$2 != "x" && $2 != "*" && $2 != "!" { print "password\t" $1 "\t" ($2 == "" ? "none" : "set") }' \
        "$root/etc/passwd"
    has perl || return 0
    # Hardly any image has a hash, and perl is slow to start on an emulated machine.
    grep -q '^[^:]*:[^!*:]' "$root/etc/shadow" 2>/dev/null || return 0
    perl -e '
        while (<STDIN>) {
            my ($user, $hash) = split /:/;
            next unless defined $hash && $hash =~ /^(\$|[^!*\$]{13}$)/;
            for my $word ($user, $user . $user, "password", "passw0rd", "admin", "root", "toor",
                          "changeme", "vagrant", "ubuntu", "debian", "centos", "packer", "123456") {
                my $made = crypt($word, $hash);
                if (defined $made && $made eq $hash) { print "guessed\t$user\n"; last; }
            }
        }' <"$root/etc/shadow" 2>/dev/null
}

# As the boot loader has them: the first entry is the one that boots.
kernel_arguments() {
    for file in "$root/boot/grub/grub.cfg" "$root/boot/grub2/grub.cfg" \
        "$root/boot/extlinux/extlinux.conf" "$root/boot/syslinux/syslinux.cfg"; do
        [ -r "$file" ] && awk '
            $1 ~ /^linux(16|efi)?$/ { for (i = 3; i <= NF; i++) print "argument\t" $i; exit }
            tolower($1) == "append" { for (i = 2; i <= NF; i++) print "argument\t" $i; exit }' "$file"
    done
    for file in "$root"/boot/loader/entries/*.conf; do
        [ -r "$file" ] && awk '$1 == "options" { for (i = 2; i <= NF; i++) print "argument\t" $i }' "$file"
    done
    for file in "$root/etc/kernel/cmdline"; do
        [ -r "$file" ] && awk '{ for (i = 1; i <= NF; i++) print "argument\t" $i }' "$file"
    done
    for file in "$root/oem/grub.cfg" "$root/usr/share/oem/grub.cfg"; do
        [ -r "$file" ] && sed -n 's/^set linux_append="\(.*\)"$/\1/p' "$file" |
            awk '{ for (i = 1; i <= NF; i++) print "argument\t" $i }'
    done
}

# From the list of files: wherever sshd may have been told to look.
authorized_keys() {
    awk -F '\t' '$2 == "f" && $10 ~ /\/\.ssh\/authorized_keys|^\/etc\/ssh\/.*authorized_keys/ { print $10 }' "$1" |
        while IFS= read -r path; do
            awk -v path="$path" '
                /^[ \t]*(#|$)/ { next }
                {
                    kind = "key"; comment = ""
                    for (i = 1; i < NF; i++)
                        if ($i ~ /^(ssh-|ecdsa-|sk-)/) { kind = $i; comment = $(i + 2); break }
                    printf "authorized_key\t%s\t%s\t%s\n", path, kind, comment
                }' "$root$path"
        done
}

# Which files hold a secret, never the secret.
secrets() {
    logs='-path */var/log/* -o -name *.log -o -name *_history -o -path */var/lib/cloud/*'
    set -f
    find "$root/var" "$root/root" "$root/home" "$root/opt" "$root/srv" "$root/tmp" -xdev \
        -path "$root/var/lib/docker" -prune -o -path "$root/var/lib/containerd" -prune \
        -o -type f -size -40960k \( $logs \) -exec grep -lsEi -e '-----BEGIN [A-Z ]*PRIVATE KEY-----' \
        -e '(^|[^a-z0-9])(AKIA|ASIA)[A-Z2-7]{16}([^a-z0-9]|$)' -e 'gh[pousr]_[a-z0-9]{36}' \
        -e 'xox[abposr]-[a-z0-9-]{10}' -e '://[^/ :@]+:[^/ :@*]{4,}@' \
        -e '(passw(or)?d|secret|token|api_?key)["'\'']?[=:] ?["'\'']?[^] "'\''*<>({[]{8}' {} + 2>/dev/null |
        while IFS= read -r file; do printf 'secret\t%s\tlooks like one\n' "${file#"$root"}"; done
    set +f
    find "$root/root" "$root/home" "$root/opt" "$root/srv" "$root/tmp" -xdev -type f -size -64k \
        -exec grep -lsE -e '^-----BEGIN [A-Z ]*PRIVATE KEY-----' {} + 2>/dev/null |
        while IFS= read -r file; do printf 'private_key\t%s\n' "${file#"$root"}"; done
    [ -n "${OSQUAL_SECRETS:-}" ] || return 0
    values=$(memory_file) || exit 1
    printf '%s\n' "$OSQUAL_SECRETS" >"$values"
    find "$root/etc" "$root/root" "$root/home" "$root/opt" "$root/srv" "$root/usr/local" "$root/var" "$root/tmp" \
        -xdev -path "$root/var/lib/docker" -prune -o -path "$root/var/lib/containerd" -prune \
        -o -path "$root/var/lib/dpkg" -prune -o -path "$root/var/lib/rpm" -prune \
        -o -type f -size -40960k -exec grep -lsF -f "$values" {} + 2>/dev/null |
        while IFS= read -r file; do printf 'secret\t%s\tknown to this build\n' "${file#"$root"}"; done
    rm -f "$values"
}

reboot_wanted() {
    for run in "$root/run" "$root/var/run"; do
        [ -e "$run/reboot-required" ] || continue
        printf 'reboot\t%s\n' "$(sort -u "$run/reboot-required.pkgs" 2>/dev/null | tr '\n' ' ')"
        return
    done
}

# Sockets that wait for others, and who has them.
listeners() {
    sockets=$(for kind in tcp tcp6 udp udp6; do
        [ -r "/proc/net/$kind" ] && awk -v OFS='\t' -v kind="$kind" '
            NR > 1 && ((kind ~ /tcp/ && $4 == "0A") || (kind ~ /udp/ && $4 == "07")) { print "listener", kind, $2, $10 }' \
            "/proc/net/$kind"
    done)
    [ -n "$sockets" ] || return 0
    { printf '%s\n\n' "$sockets" && find /proc/[0-9]*/fd -lname 'socket:*' -printf '%p\t%l\n' 2>/dev/null; } |
        awk -F '\t' -v OFS='\t' '
            $0 == "" { names = 1; next }
            !names { found[++count] = $0; next }
            { gsub(/[^0-9]/, "", $2); split($1, part, "/"); holder[$2] = part[3] }
            END {
                for (i = 1; i <= count; i++) {
                    split(found[i], one, "\t"); name = ""
                    if (one[4] in holder) {
                        comm = "/proc/" holder[one[4]] "/comm"
                        getline name <comm
                        close(comm)
                    }
                    print one[1], one[2], one[3], name
                }
            }'
    awk '{ print "ephemeral\t" $1 "\t" $2 }' /proc/sys/net/ipv4/ip_local_port_range
}

kernels() {
    newest=$(find /lib/modules/ -mindepth 1 -maxdepth 1 -type d -printf '%f\n' 2>/dev/null | sort -V | tail -n 1)
    printf 'kernel\t%s\t%s\n' "$(uname -r)" "$newest"
}

disk() {
    os
    printf 'architecture\t%s\n' "$(uname -m)"
    packages
    users
    kernel_arguments
    listed=$(memory_file) || exit 1
    files >"$listed"
    cat "$listed"
    authorized_keys "$listed"
    digests "$listed"
    rm -f "$listed"
}

live() {
    listeners
    kernels
    reboot_wanted
    if [ -x /usr/bin/needs-restarting ]; then
        /usr/bin/needs-restarting -r >/dev/null 2>&1
        [ $? -eq 1 ] && printf 'reboot\tneeds-restarting\n'
    fi
}

for part; do
    case $part in
    disk | live | secrets) ;;
    *)
        echo "no such part: $part" >&2
        exit 2
        ;;
    esac
    printf 'osqual-inventory\t1\t%s\n' "$part"
    "$part"
    printf 'end\t%s\n' "$part"
done
