# run.sh SOCKET IMAGE NAME ADDRESS PORT: runs one container until it answers.
. "${BASH_SOURCE%/*}/lib.sh"
podman --url "$1" run -q -d --tls-verify=false --name "$3" -e "PORT=$5" -p "$4:$5:$5" "$2" >/dev/null
serves "http://$4:$5/"
