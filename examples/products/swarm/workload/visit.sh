# Ask for the page again and again, like a customer who tries three times before giving up. One line
# a visit: the page, or `lost`.
while :; do
  page=
  for attempt in 1 2 3; do
    page=$(wget -q -T 10 -O - http://shop/cgi-bin/page) && break
    sleep 1
  done
  echo "${page:-lost}" >>/log/visits
  usleep 200000
done
