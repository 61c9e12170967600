# Ask for the page again and again, like a customer who tries three times before giving up. One line
# a visit: the page, or `lost`.
mkdir -p /var/www
: >/var/www/log
httpd -p 80 -h /var/www
while :; do
  page=
  for attempt in 1 2 3; do
    page=$(wget -q -T 10 -O - http://shop/cgi-bin/page) && break
    sleep 1
  done
  echo "${page:-lost}" >>/var/www/log
  usleep 200000
done
