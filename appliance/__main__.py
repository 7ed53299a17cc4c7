from appliance.commands.cli import main

main()
