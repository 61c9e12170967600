#!/bin/sh
printf 'Content-Type: text/plain\r\n\r\n%s %s %s\n' "$VERSION" "$(hostname)" "$(cat /etc/greeting)"
