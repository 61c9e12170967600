# Ask for the page again and again, like a customer who tries three times before giving up. One line
# a visit: the page, or `lost`. (The time limit is not wget's own: that one crashes in Debian 12.)
while :; do
  page=
  for attempt in 1 2 3; do
    page=$(timeout 10 wget -q -O - http://shop/cgi-bin/page) && break
    sleep 1
  done
  echo "${page:-lost}" >>/log/visits
  usleep 200000
done
